"""Answers of 2021."""

from distutils.util import strtobool

YES = strtobool("yes")
