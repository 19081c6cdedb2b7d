"""Training: the loop, the recipes of the networks, and the training sets of second stage, class prior and compounds."""
