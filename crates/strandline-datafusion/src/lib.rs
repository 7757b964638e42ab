//! Strandline in DataFusion: query and write a lake in SQL.
