"""What a user can choose, once for all hosts: name, default, limits, step and help as data.

Nodes, pages, routes and the command line are made from these tables, and say nothing of it
themselves. To add an option:

1. Write it into the table of its subject, for example in `cutout.py`:
   `BLUR = number("blur_px", 0.0, (0.0, 50.0, 0.5), "Blurs the background by that many pixels.")`.
   Where the same thing has another default or range elsewhere, write the other one beside it:
   `BLUR_OF_MASK = BLUR.but(default=2.0)`.
2. Name it where it is wanted: `widget(cutout.BLUR)` in a node, `add(group, cutout.BLUR)` in a verb,
   `blur_px: float = shown(cutout.BLUR, "edge")` in the WebUI's record.
3. Names never change: graphs and scripts on users' disks hold them.

Texts are for all hosts: they name no node, no button and no folder of one of them. None of these
modules imports torch.
"""
