"""What is done with instances: choosing, cropping, pasting back, prompting, drawing over."""
