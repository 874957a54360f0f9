"""Numbers that stand for the properties of colours; FFmpeg and the standard H.273 use the same numbers."""

RGB, BT709, UNKNOWN, BT601, BT2020 = 0, 1, 2, 6, 9  # colour matrices
MATRICES = {BT709, 4, 5, BT601, 7, BT2020, 10}  # colour matrices that FFmpeg's scaler knows
LIMITED = 1  # range of values that leaves room below black and above white
PQ, HLG = 16, 18  # transfer characteristics
CURVES = {PQ: "PQ", HLG: "HLG"}  # transfer characteristics of HDR
GAMUTS = {9: "BT.2020", 11: "DCI-P3", 12: "Display P3"}  # primaries of wide gamuts
