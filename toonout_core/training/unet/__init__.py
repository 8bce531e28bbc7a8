"""Training of small networks that predict alpha, such as the built-in one."""
