"""One importer a format: from records or state dicts to networks of our own classes.

Each `read_*` takes what the file holds as data and returns a `NetworkData`. Arguments come from the
shapes of tensors and from what the stored objects say about themselves; nothing of theirs is run.
"""
