"""Pictures of images and maps: colour composites, contact sheets, grids and pages of heat maps."""
