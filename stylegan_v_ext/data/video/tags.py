"""FFmpeg's numbers of the properties of colours, which are those of the standard H.273."""

RGB, BT709, UNKNOWN, BT601, BT2020 = 0, 1, 2, 6, 9  # colour matrices
MATRICES = {BT709, 4, 5, BT601, 7, BT2020, 10}  # that FFmpeg's scaler knows
LIMITED = 1  # the range that leaves room below black and above white
PQ, HLG = 16, 18  # transfer characteristics
CURVES = {PQ: "PQ", HLG: "HLG"}  # of HDR
GAMUTS = {9: "BT.2020", 11: "DCI-P3", 12: "Display P3"}  # primaries of wide gamuts
