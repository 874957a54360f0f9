"""Reading network pickles of the small host."""

import pickle


def load_network_pkl(file):
    """The dict in a snapshot."""
    return pickle.load(file)
