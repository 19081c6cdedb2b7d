"""The finder's second network: a DeepLensNet, taught what the first look lets through."""
