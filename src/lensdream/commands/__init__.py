"""The compound head: the finder's network, taught to tell lenses with two sources from those with one."""
