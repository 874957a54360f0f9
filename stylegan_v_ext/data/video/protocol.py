"""Forms of what `process.py` and `decoder.py` send to each other."""

import struct

JOB = struct.Struct("<I")  # length in bytes of the settings that follow it; descriptors come with it
STATUS = struct.Struct("<i")  # exit status of a process, minus the number of the signal that ended it
LENGTH = struct.Struct("<I")  # of a record's text in bytes
