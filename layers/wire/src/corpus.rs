//! The framing tables that tests share. (rows follow)
