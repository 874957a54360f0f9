"""Sparse video data: archives of frames, the training set, checking, conversion from video files."""
