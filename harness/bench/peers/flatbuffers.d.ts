// The bench's own packages are installed when it first runs; types are checked without them too.
declare module 'flatbuffers';
