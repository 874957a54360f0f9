"""Limits for one video, whatever kind of file it comes from."""

MOST_PIXELS = 8192**2  # pixels of a picture or frame; Pillow's own limit is twice as high
MOST_FRAMES = 10_000_000  # frames of a video: more than 4 days at 25 frames a second
LONGEST_HOLD = 3600  # seconds for which resampling may repeat one frame
