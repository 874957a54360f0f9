"""One importer for each format: from records or state dicts to networks of our own classes.

Each `read_*` takes the content of a file as data and returns a `NetworkData`. Arguments come from the shapes of tensors
and from the attributes of stored objects; no code of the file is run.
"""
