"""From the table of scenes to images, truth masks and shards."""
