"""From a trained generator to frames, and from frames to files."""
