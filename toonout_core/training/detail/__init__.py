"""Training of the head that draws the edges of coarse mattes anew."""
