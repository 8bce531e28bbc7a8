"""ToonOut in the WebUI: AUTOMATIC1111 1.10, Forge, reForge, Forge Classic, SD.Next.

`scripts/toonout.py` imports this package as a part of one whose path is the repository's folder.
hosts.py alone knows in what the hosts and the two gradio generations differ.
"""
