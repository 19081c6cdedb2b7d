"""The finder's second network: LensNet of twice the width, taught what the first look lets through."""
