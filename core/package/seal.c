#include "package/seal.h"

#include <string.h>

#include "base/diag.h"
#include "base/sha384.h"
#include "package/head.h"

typedef struct parts {
    size_t head_size, body_size, chunk_count;
} parts;

static wai_status find_parts(parts *out, wai_bytes package, wai_diag *diag) {
    uint64_t head_size;
    memcpy(&head_size, package.data + WAI_FORMAT_HEADER_SIZE + 8, sizeof head_size);
    if (head_size > package.size || wai_head_size(package.size - head_size) != head_size) {
        return wai_fail(diag, WAI_ERR_MALFORMED, "section table",
                        "section 1 does not start where the head must end");
    }
    out->head_size = (size_t)head_size;
    out->body_size = package.size - out->head_size;
    out->chunk_count = (size_t)wai_head_chunks(out->body_size);
    return WAI_OK;
}

static size_t hash_offset(const parts *p, size_t chunk) {
    return p->head_size - (p->chunk_count + 1 - chunk) * WAI_FORMAT_DIGEST_SIZE;
}

static void hash_chunk(uint8_t *out, const uint8_t *package, const parts *p, size_t chunk) {
    const size_t at = chunk * WAI_FORMAT_CHUNK_SIZE;
    const size_t left = p->body_size - at;
    wai_sha384(out, package + p->head_size + at,
               left < WAI_FORMAT_CHUNK_SIZE ? left : WAI_FORMAT_CHUNK_SIZE);
}

static void hash_head(uint8_t *out, const uint8_t *package, const parts *p) {
    wai_sha384(out, package, p->head_size - WAI_FORMAT_DIGEST_SIZE);
}

static void put_u32(uint8_t *at, uint32_t value) {
    for (int i = 0; i < 4; i++, value >>= 8) {
        at[i] = (uint8_t)value;
    }
}

static void put_u64(uint8_t *at, uint64_t value) {
    put_u32(at, (uint32_t)value);
    put_u32(at + 4, (uint32_t)(value >> 32));
}

void wai_package_state(uint8_t *package, const wai_certificate *c) {
    memset(package, 0, WAI_FORMAT_HEADER_SIZE);
    memcpy(package, WAI_FORMAT_MAGIC, 4);
    put_u32(package + 4, WAI_FORMAT_VERSION);
    put_u32(package + 8, c->layout);
    put_u64(package + 16, c->package_size);
    put_u64(package + 24, c->arena_size);
    put_u64(package + 32, c->state_size);
    put_u64(package + 40, c->peak_size);
    put_u64(package + 48, c->param_count);
    put_u64(package + 56, c->flop_count);
    put_u32(package + 64, c->step_count);
    put_u32(package + 68, WAI_SECTION_COUNT);
    memcpy(package + 72, c->source_digest, sizeof c->source_digest);
    put_u64(package + 120, c->fuel);
}

static void seal_head(uint8_t *package, const parts *p, const wai_certificate *certificate) {
    wai_package_state(package, certificate);
    hash_head(package + p->head_size - WAI_FORMAT_DIGEST_SIZE, package, p);
}

void wai_package_seal(uint8_t *package, const wai_certificate *certificate) {
    parts p;
    wai_diag diag;
    if (find_parts(&p, (wai_bytes){package, (size_t)certificate->package_size}, &diag) != WAI_OK) {
        return; /* not what wai_package_write wrote */
    }
    for (size_t chunk = 0; chunk < p.chunk_count; chunk++) {
        hash_chunk(package + hash_offset(&p, chunk), package, &p, chunk);
    }
    seal_head(package, &p, certificate);
}

wai_status wai_package_verify(wai_bytes package, wai_diag *diag) {
    wai_certificate certificate;
    parts p;
    wai_status status = wai_certificate_read(&certificate, package, diag);
    if (status != WAI_OK) {
        return status;
    }
    uint8_t hash[WAI_FORMAT_DIGEST_SIZE];
    status = find_parts(&p, package, diag);
    if (status != WAI_OK) {
        return status;
    }
    hash_head(hash, package.data, &p);
    if (memcmp(hash, package.data + p.head_size - sizeof hash, sizeof hash) != 0) {
        return wai_fail(diag, WAI_ERR_INTEGRITY, "package",
                        "its head differs from its digest: changed or damaged after it was made");
    }
    for (size_t chunk = 0; chunk < p.chunk_count; chunk++) {
        hash_chunk(hash, package.data, &p, chunk);
        if (memcmp(hash, package.data + hash_offset(&p, chunk), sizeof hash) != 0) {
            return wai_fail_at(
                diag, WAI_ERR_INTEGRITY, p.head_size + chunk * WAI_FORMAT_CHUNK_SIZE, "package",
                "a chunk differs from its hash: changed or damaged after it was made");
        }
    }
    return WAI_OK;
}

wai_status wai_package_state_fuel(uint8_t *package, size_t size, uint64_t fuel, wai_diag *diag) {
    wai_certificate certificate;
    parts p;
    wai_status status = wai_certificate_read(&certificate, (wai_bytes){package, size}, diag);
    if (status == WAI_OK && (status = find_parts(&p, (wai_bytes){package, size}, diag)) == WAI_OK) {
        certificate.fuel = fuel;
        seal_head(package, &p, &certificate);
    }
    return status;
}

wai_status wai_package_state_golden(uint8_t *package, size_t size, wai_bytes golden,
                                    wai_diag *diag) {
    wai_certificate certificate;
    wai_status status = wai_certificate_read(&certificate, (wai_bytes){package, size}, diag);
    if (status != WAI_OK) {
        return status;
    }
    parts p;
    if ((status = find_parts(&p, (wai_bytes){package, size}, diag)) != WAI_OK) {
        return status;
    }
    uint64_t place[2]; /* offset and size: read.c checks them when it is opened */
    memcpy(place,
           package + WAI_FORMAT_HEADER_SIZE + (WAI_SECTION_GOLDEN - 1) * WAI_FORMAT_ENTRY_SIZE + 8,
           sizeof place);
    if (place[0] < p.head_size || place[0] > size || place[1] > size - place[0] ||
        golden.size > place[1]) {
        return wai_fail(diag, WAI_ERR_ARGUMENT, "golden",
                        "%zu bytes of golden outputs, the package has room for %llu", golden.size,
                        (unsigned long long)place[1]);
    }
    memset(package + place[0], 0, (size_t)place[1]);
    memcpy(package + place[0], golden.data, golden.size);
    wai_package_seal(package, &certificate);
    return WAI_OK;
}
