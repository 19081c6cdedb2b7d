"""Pages of channels."""

import pytest

from lensdream.evaluate.explanations import channel_pages


def test_page_without_channels_is_refused():
    with pytest.raises(ValueError, match="no channel to draw"):
        channel_pages.channels_page("none", [])
