"""The command line: one file a subcommand. Nothing here imports PyTorch before it has work to do."""
