"""One part a file: `run(settings, findings)`."""
