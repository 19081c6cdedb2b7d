"""Which kind of non-lens an image is, and so what a lens logit is where other shares of them are about."""
