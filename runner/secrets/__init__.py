"""Named secrets: finding and masking their values, and scanning what travels for them."""
