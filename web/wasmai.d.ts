/** @wasm-ai/web: run a compiled model, locked away from the page. */

export type DType =
  | 'float32'
  | 'float16'
  | 'float64'
  | 'int8'
  | 'uint8'
  | 'int16'
  | 'uint16'
  | 'int32'
  | 'uint32'
  | 'int64'
  | 'uint64'
  | 'bool'
  | 'bfloat16'
  | 'float8e4m3fn'
  | 'float8e4m3fnuz'
  | 'float8e5m2'
  | 'float8e5m2fnuz'
  | 'uint4'
  | 'int4';

/** Float16Array, by its shape: older TypeScript has no such name. */
export interface Float16Values extends ArrayBufferView {
  readonly [Symbol.toStringTag]: 'Float16Array';
  readonly length: number;
  [index: number]: number;
}

/**
 * float16 comes as a Float16Array where there is one, else as a Uint16Array of bits, and may be
 * given as either; int64 and uint64 are exact, as BigInt; bool is a Uint8Array; bfloat16 is a
 * Uint16Array of bits and the 8-bit floats are Uint8Arrays of bits; uint4 (Uint8Array) and int4
 * (Int8Array) have one element per byte.
 */
export type TypedArray =
  | Float32Array
  | Float64Array
  | Int8Array
  | Uint8Array
  | Uint8ClampedArray
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array
  | Float16Values;

// biome-ignore lint/suspicious/noExplicitAny: data of an output is used as what the model gives; a union of arrays would want a cast at every use
export class Tensor<T extends TypedArray = any> {
  /** `dims` defaults to one dimension. Throws ARGUMENT when dtype, data and dims do not fit together. */
  constructor(dtype: DType, data: T, dims?: readonly number[]);
  readonly dtype: DType;
  readonly data: T;
  readonly dims: readonly number[];
  /** Number of elements. */
  readonly size: number;
}

export type ErrorCode =
  | 'ARGUMENT'
  | 'STATE'
  | 'MALFORMED'
  | 'UNSUPPORTED'
  | 'LIMIT'
  | 'MEMORY'
  | 'INTEGRITY'
  | 'SIGNATURE'
  | 'ABORTED'
  | 'DEADLINE'
  | 'FUEL'
  | 'TRAP'
  | 'CSP'
  | 'INTERNAL';

/** The only error type. The message says what to do. */
export class WasmAIError extends Error {
  constructor(
    code: ErrorCode,
    where: string,
    message: string,
    options?: { cause?: unknown; used?: number; allowed?: number },
  );
  readonly code: ErrorCode;
  /** The input, address or node that it is about. */
  readonly where: string;
  /** With FUEL: units of fuel that were allowed, and the count at which it was stopped. */
  readonly allowed?: number;
  readonly used?: number;
}

/** A dimension that every run may give another value, as `compile --dim name=min..max` said. */
export interface DimRange {
  readonly name: string;
  readonly min: number;
  readonly max: number;
}

export interface Slot {
  readonly name: string;
  readonly dtype: DType;
  /** The largest ones, where they are not the same in every run. */
  readonly dims: readonly number[];
  /** Of an input with symbolic dims: per axis its range, or null. Feed it as a Tensor. */
  readonly symbols?: readonly (DimRange | null)[];
  /** True where dims differ from run to run: an output's Tensor says which they are. */
  readonly varies?: boolean;
}

/** What a package states about itself, and the runtime proves. */
export interface Certificate {
  readonly packageSize: number;
  /** Bytes of its first part: certificate, table of sections, and the hashes of all that follows. */
  readonly headSize: number;
  readonly arenaSize: number;
  readonly stateSize: number;
  /** Bytes of WebAssembly memory that one session needs, all included. */
  readonly peakSize: number;
  readonly paramCount: number;
  readonly flopCount: number;
  /** Fuel of one inference at the largest dims with the metered runtime; 0: not stated. */
  readonly fuel: number;
  readonly layout: number;
  readonly stepCount: number;
  /** SHA-384 of the ONNX file that the package was compiled from, hexadecimal. */
  readonly sourceDigest: string;
}

export interface Progress {
  loaded: number;
  total: number;
  phase: 'download' | 'verify' | 'open' | 'ready';
}

/** What a trusted key has signed. */
export interface SignatureInfo {
  readonly name: string;
  /** Keep the highest one you saw and give it as minVersion, and no older package comes back. */
  readonly version: number;
  readonly signedAt: Date;
  /** RFC 7638 thumbprint of the key, as `wasm-ai keygen` prints it. */
  readonly keyId: string;
}

/** Of the runtime: `relaxed` uses relaxed SIMD (fused multiply-add), `simd` gives the same bits everywhere. */
export type Variant = 'relaxed' | 'simd';

export interface LoadOptions {
  /**
   * 'worker', the default in browsers: a worker with a policy of its own, which needs a host that can
   * send headers. 'frame': that worker in a sandboxed frame, with an origin of its own and so no storage
   * either, and in Chromium a process of its own; its policy is in its file, so any host will do.
   * 'none', the default in Node: no isolation.
   */
  isolation?: 'worker' | 'none' | 'frame';
  /**
   * The same bits from the same package and inputs in every browser, in Node and on every processor:
   * no relaxed SIMD, one NaN (positive, quiet, no payload) in outputs, sums in one order. Without it the
   * loader takes the variant `relaxed` where the browser has relaxed SIMD: faster, and the last bits depend
   * on the processor. Hardened and `--secure` sessions are deterministic in any case.
   */
  deterministic?: boolean;
  /**
   * How many threads a run may use, at most 16. 'auto', the default: up to 4, for models that are work enough,
   * where the page is cross-origin isolated. Outputs are the same bits for any number of them. Where they
   * cannot be had it is one, and `session.info.threadsReason` says why. In Node 'auto' is 1.
   */
  threads?: 'auto' | number;
  /** Refuse a model that needs more memory. Cannot raise the MAX_HEAP_SIZE of the build. */
  maxHeapMB?: number;
  /**
   * Memory hardening: guard words round every tensor, operator state and weights, looked at in every run;
   * tensors zeroed behind every run; a run that finds damage is rejected with INTEGRITY, which names the
   * place, and the next one starts afresh. A folder of `wasm-ai build --secure` (or MEMORY_HARDENING) has it
   * on, and then it cannot be switched off; others may ask for it here, unless their runtime was linked without.
   */
  hardened?: boolean;
  /**
   * With hardening: after every so many runs the package in memory is hashed and compared with what was
   * loaded, which finds weights that were overwritten. Default 16; 1 is after every run.
   */
  integrityEvery?: number;
  /** The SHA-384 that the whole package must have, hexadecimal. */
  sha384?: string;
  /**
   * Ed25519, from `importPublicKey`; several while keys change. The package must have a signature by
   * one of them beside it (NAME.wai.jws, made by `wasm-ai sign`), checked before anything is compiled.
   */
  publicKey?: CryptoKey | readonly CryptoKey[];
  /** With publicKey: refuse a package that was signed with a lower version. Default 0. */
  minVersion?: number;
  /**
   * With publicKey: the text of the .jws file, or a URL object that says where it is. Default: at the
   * package's address with .jws at its end; bytes and streams have none.
   */
  signature?: string | URL;
  /**
   * With publicKey: the file name that was signed. Default: the last part of the package's address;
   * for bytes and streams any.
   */
  packageName?: string;
  /**
   * From `importDecryptionKey`, of a package that was encrypted (`wasm-ai compile --encrypt`): decrypted
   * in the worker, never in the page. A package that is not encrypted is refused then.
   */
  decryptionKey?: CryptoKey;
  /**
   * Whether the page keeps the package's bytes, so that a session that lost its worker goes on without
   * asking for them. Without them memory is smaller by that much: a package is poured into the model's memory
   * as it comes in, and asked for again (most often from the HTTP cache; it must be the same) when a worker is
   * lost. Default: up to 64 MiB, and streams and Responses, which cannot be asked again. Always kept: encrypted
   * packages, those with `sha384`, and with isolation 'none'.
   */
  keepPackage?: boolean;
  signal?: AbortSignal;
  onProgress?(progress: Progress): void;
}

export interface RunOptions {
  /**
   * Outputs that become inputs of the next run without leaving the model's memory:
   * `{ state: 'stateN' }` puts output `stateN` into input `state`, once per pair, all at once.
   * The next run need not feed these inputs; feeding one takes the place of what was carried.
   * dtype and dims of both must agree. When the run fails or is stopped, the next run that
   * counts on it is rejected with STATE.
   */
  carry?: Readonly<Record<string, string>>;
  /** The outputs to return; all of them when left out. A carried output need not be among them. */
  outputs?: readonly string[];
  /** Aborting stops the run, also in its middle; the next run starts afresh. */
  signal?: AbortSignal;
  /** Counted from the call, waiting included. With isolation 'none' it is refused: no run there can be stopped in its middle. */
  deadlineMs?: number;
  /**
   * With the metered runtime (`wasm-ai build --secure`): the fuel that this run may use, about one
   * unit per instruction. When left out, four times what the certificate states, or 2^36 if that states none. Beyond it the
   * run is rejected with FUEL; the next one starts afresh.
   */
  maxFuel?: number;
  /** Make a receipt: `session.receipt(outputs)`. Hashing takes about 2 ms per MiB of inputs and outputs. */
  receipt?: boolean;
  /** Run step by step with a clock between: `session.profile(outputs)`. Other runs pay nothing for it. */
  profile?: boolean;
}

/** One step of a run: an operator of the compiled model, by the name of the ONNX node that it was made from. */
export interface ProfileStep {
  readonly name: string;
  readonly op: string;
  /** As exact as the browser's clock: 5 us on a cross-origin isolated page, else 100 us. */
  readonly ms: number;
  /** Of its operands, weights included. */
  readonly readBytes: number;
  readonly writtenBytes: number;
}

export interface Profile {
  /** The run as a whole, beside the wasm. */
  readonly ms: number;
  /** In order; skipped ones are there, with next to no time. */
  readonly steps: readonly ProfileStep[];
}

/** A tensor by its digest: SHA-384 as core/package/format.h says ("Golden outputs"), hexadecimal. */
export interface ReceiptTensor {
  readonly name: string;
  readonly dtype: DType;
  readonly dims: readonly number[];
  readonly sha384: string;
}

/**
 * What was run. JSON.stringify(receipt) is always the same text for the same run; `wasm-ai verify --receipt`
 * runs it again. The name is not in a tensor's digest: a state that is carried has one digest as an output of
 * one run and as an input of the next.
 */
export interface Receipt {
  readonly receipt: 1;
  /** `sha384` of the runtime's wasm. */
  readonly runtime: { readonly variant: Variant; readonly sha384: string };
  /** Of the package's head, from which every byte of it follows; `wasm-ai inspect` prints it. */
  readonly package: { readonly head: string };
  /** All of them, carried ones too. */
  readonly inputs: readonly ReceiptTensor[];
  /** Those that were asked for, in that order. */
  readonly outputs: readonly ReceiptTensor[];
  /** Used by this run; null where the runtime does not count. */
  readonly fuel: number | null;
}

export interface SelfTestOptions {
  signal?: AbortSignal;
}

export interface GoldenOutput {
  readonly dims: readonly number[];
  /** As in a receipt. */
  readonly sha384: string;
}

export interface SelfTest {
  readonly passed: boolean;
  readonly cases: readonly {
    /** Of each input. */
    readonly dims: Readonly<Record<string, readonly number[]>>;
    readonly ok: boolean;
    /** By the name of the output. */
    readonly expected: Readonly<Record<string, GoldenOutput>>;
    /** Empty where the run failed. */
    readonly got: Readonly<Record<string, GoldenOutput>>;
    /** Why it failed. */
    readonly error?: WasmAIError;
  }[];
  readonly ms: number;
}

export interface SessionInfo {
  readonly variant: Variant;
  /** Why this variant and no other, a sentence. */
  readonly variantReason: string;
  readonly deterministic: boolean;
  /** How many threads a run uses. */
  readonly threads: number;
  /** Why so many and not more, in a sentence. */
  readonly threadsReason: string;
  readonly isolation: 'worker' | 'frame' | 'none';
  /** Guard words and wiping are on. */
  readonly hardened: boolean;
  /** Certified maximum, with 64 KiB for each thread but the first; memory cannot grow past it. */
  readonly peakBytes: number;
  /** In use now. */
  readonly memoryBytes: number;
  readonly certificate: Certificate;
  /** null when no publicKey was given. */
  readonly signature: SignatureInfo | null;
  readonly runs: number;
  /** Of the last run, measured beside the wasm; null before the first. */
  readonly lastMs: number | null;
  /** The runtime counts instructions, and a run has a budget of fuel. */
  readonly metered: boolean;
  /** What the last run used; null before the first, and where the runtime does not count. */
  readonly fuel: number | null;
}

export interface Session {
  readonly inputs: readonly Slot[];
  readonly outputs: readonly Slot[];
  readonly info: SessionInfo;
  /**
   * One inference. Calls queue: up to 1,024 that wait, with 256 MiB of inputs; beyond that LIMIT.
   * Inputs are checked and copied before this returns.
   */
  run(
    feeds: Record<string, Tensor | TypedArray>,
    options?: RunOptions,
  ): Promise<Record<string, Tensor>>;
  /**
   * Run what the package's maker ran (inputs that a small generator gives) and compare the outputs' digests.
   * Answers passed: false when they differ or a run fails; throws UNSUPPORTED when the package has no golden
   * outputs, and where the session is not deterministic. Its runs queue like any other, and what is carried stays, unless one of them traps or is
   * stopped; they do not count in `info`.
   */
  selfTest(options?: SelfTestOptions): Promise<SelfTest>;
  /** The receipt of a run with `receipt: true`, by the very object that it resolved with. */
  receipt(outputs: Record<string, Tensor>): Receipt;
  /** Where the time of a run with `profile: true` went, by the very object that it resolved with. */
  profile(outputs: Record<string, Tensor>): Profile;
  /** Forget what was carried: the next run is to be fed every input. */
  reset(): void;
  /** Free everything; what is pending is rejected with STATE. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * The text of a public key in PEM -> a key for `load`. Throws UNSUPPORTED where the engine has no
 * Ed25519 (it needs Chromium 137, Firefox 129, Safari 17 or Node 20).
 */
export function importPublicKey(pem: string): Promise<CryptoKey>;

/**
 * The text of a key as `wasm-ai keygen --encryption` writes it (a JWK), or its 32 bytes -> a key for
 * `load`: for HKDF-SHA-256, not extractable. Forget the text afterwards.
 */
export function importDecryptionKey(key: string | BufferSource): Promise<CryptoKey>;

/** Open a package. Its signature, if publicKey is given, and its digest are checked before anything is compiled. */
export function load(
  source: string | URL | Response | ReadableStream<Uint8Array> | ArrayBuffer | ArrayBufferView,
  options?: LoadOptions,
): Promise<Session>;
