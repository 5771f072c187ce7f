"""Both sites in local folders, with real parts: bgzip VCFs, GNU tar archives, SIF images, supervisord."""
