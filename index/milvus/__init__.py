"""An index that lies in Milvus: one server for many readers, or milvus-lite's file on one machine."""
