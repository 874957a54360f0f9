"""The video generator and discriminator and their parts, one concept a file."""
