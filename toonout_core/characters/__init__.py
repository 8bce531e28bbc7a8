"""Work with instances: choose, crop, paste back, prompt, draw over."""
