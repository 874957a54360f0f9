"""An interactive page: look at a network, play with it, take videos along."""
