"""Changing what a trained generator makes."""
