//! What the tests share: the bodies of the fuzz targets, transcripts and drivers.
