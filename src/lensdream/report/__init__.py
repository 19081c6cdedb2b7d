"""One static page with everything that a run has measured and drawn, and the picture of every family."""
