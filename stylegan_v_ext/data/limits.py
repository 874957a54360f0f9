"""The most that one video may ask for, whatever kind of file it comes from."""

MOST_PIXELS = 8192**2  # of a picture or frame; Pillow alone would decode twice as many
MOST_FRAMES = 10_000_000  # of a video: 4 days at 25 frames a second
LONGEST_HOLD = 3600  # seconds that resampling may repeat a frame for
