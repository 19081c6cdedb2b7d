"""Networks from images of several bands to one lens logit, and the files that hold them."""
