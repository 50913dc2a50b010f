/* Numbers for keys by their hashes: rows of one hash get one number. numbering_c.py checks afterwards that they have one key, too.
 * Texts are told apart here, for they lie ready to be compared: most are no longer than the 12 bytes that stand in their view.
 *
 * The table has open addressing and is bounded twice: by its size and by how far a hash may lie from where it belongs. Keys made to
 * collide end in a refusal, upon which keys are compared as they are, not in a loop.
 */
#include <stdint.h>
#include <string.h>

#ifndef FAR
#define FAR 64
#endif
enum { ABSENT = -1, SHORT_BYTES = 12 };

/* As in numbering_c.py. */
typedef struct {
    int64_t mask;   /* slots less one; their number is a power of two */
    uint64_t *hash; /* [slots] */
    int64_t *code;  /* [slots] ABSENT where the slot is empty */
} Table;

/* Which Table and which calls these are; to be raised with every change of either. */
int64_t leverframe_numbering_interface(void) { return 2; }

/* Where a hash belongs, modulo the slots. Multiplied, so that high bits count as well. */
static inline uint64_t home_of(uint64_t hash) { return hash * 0x9E3779B97F4A7C15u >> 20; }

/* The slot of a hash or the empty one where it belongs; ABSENT when neither is near. */
static inline int64_t slot_of(const Table *t, uint64_t hash) {
    const uint64_t home = home_of(hash);
    for (uint64_t far = 0; far < FAR; far++) {
        const int64_t slot = (int64_t)((home + far) & (uint64_t)t->mask);
        if (t->code[slot] == ABSENT || t->hash[slot] == hash) return slot;
    }
    return ABSENT;
}

/* codes [rows]: numbers in order of first appearance; firsts [at least half of the slots]: the row of it.
 * Returns how many there are, or ABSENT when the table is half full or has no place. */
int64_t leverframe_numbering_group(const Table *t, const uint64_t *hash, int64_t rows, int64_t *codes, int64_t *firsts) {
    int64_t groups = 0;
    for (int64_t row = 0; row < rows; row++) {
        const int64_t slot = slot_of(t, hash[row]);
        if (slot == ABSENT) return ABSENT;
        if (t->code[slot] == ABSENT) {
            if (2 * groups > t->mask) return ABSENT;
            firsts[groups] = row;
            t->hash[slot] = hash[row];
            t->code[slot] = groups++;
        }
        codes[row] = t->code[slot];
    }
    return groups;
}

/* codes [rows]: the number of each hash in a table that `group` filled, ABSENT where it is not there. */
void leverframe_numbering_find(const Table *t, const uint64_t *hash, int64_t rows, int64_t *codes) {
    for (int64_t row = 0; row < rows; row++) {
        const int64_t slot = slot_of(t, hash[row]);
        codes[row] = slot == ABSENT ? ABSENT : t->code[slot];
    }
}

/* A column of texts as Arrow's string views lie: 16 bytes each, of which the first four are its length. As in arrow_texts.py. */
typedef struct {
    int64_t rows;
    int64_t offset;              /* of the first row among the views and the bits of `there` */
    const uint8_t *there;        /* a bit a row, NULL: each has a text */
    const uint8_t *views;        /* a short text follows its length; of a long one four bytes, then its buffer and where it begins there */
    const uint8_t *const *bytes; /* the buffers */
} Texts;

/* A text as it is compared: length and first bytes, and the rest of it or, of a long one, where its bytes lie. */
typedef struct {
    uint64_t head, rest;
    const uint8_t *bytes; /* NULL: a short one */
} Key;

typedef struct {
    int64_t mask;
    Key *key;      /* [slots] */
    int64_t *code; /* [slots] ABSENT where the slot is empty */
} TextTable;

static inline uint32_t length_of(const Key *key) { return (uint32_t)key->head; }

static inline Key key_at(const Texts *t, int64_t row) {
    const uint8_t *view = t->views + 16 * (t->offset + row);
    Key key = {0, 0, 0};
    memcpy(&key.head, view, 8);
    memcpy(&key.rest, view + 8, 8);
    const uint32_t length = length_of(&key);
    if (length > SHORT_BYTES) {
        const int32_t buffer = (int32_t)(uint32_t)key.rest, begin = (int32_t)(key.rest >> 32);
        key.bytes = t->bytes[buffer] + begin;
        key.rest = 0;
        return key;
    }
    /* What follows a text in its view is zeros, and is not relied upon. */
    if (length < 4) key.head &= ((uint64_t)1 << (32 + 8 * length)) - 1;
    if (length < SHORT_BYTES) key.rest &= length <= 4 ? 0 : ((uint64_t)1 << 8 * (length - 4)) - 1;
    return key;
}

static inline uint64_t mixed(uint64_t hash, uint64_t word) {
    hash = (hash ^ word) * 0xFF51AFD7ED558CCDu;
    return hash ^ hash >> 32;
}

static inline uint64_t hash_of(const Key *key) {
    uint64_t hash = mixed(mixed(0, key->head), key->rest);
    if (!key->bytes) return hash;
    const uint32_t length = length_of(key);
    for (uint32_t at = 0; at < length; at += 8) {
        uint64_t word = 0;
        memcpy(&word, key->bytes + at, length - at < 8 ? length - at : 8);
        hash = mixed(hash, word);
    }
    return hash;
}

static inline int same(const Key *a, const Key *b) {
    if (a->head != b->head || a->rest != b->rest) return 0;
    return !a->bytes || memcmp(a->bytes, b->bytes, length_of(a)) == 0;
}

static inline int is_there(const Texts *t, int64_t row) {
    const int64_t bit = t->offset + row;
    return !t->there || (t->there[bit >> 3] >> (bit & 7) & 1);
}

static inline int64_t slot_of_key(const TextTable *t, const Key *key) {
    const uint64_t home = home_of(hash_of(key));
    for (uint64_t far = 0; far < FAR; far++) {
        const int64_t slot = (int64_t)((home + far) & (uint64_t)t->mask);
        if (t->code[slot] == ABSENT || same(t->key + slot, key)) return slot;
    }
    return ABSENT;
}

/* As `group`, of texts of which none is missing, after `groups` keys of `first` rows were numbered before; nothing is left to be checked. */
int64_t leverframe_numbering_group_texts(
    const TextTable *t, const Texts *texts, int64_t first, int64_t groups, int64_t *codes, int64_t *firsts) {
    for (int64_t row = 0; row < texts->rows; row++) {
        const Key key = key_at(texts, row);
        const int64_t slot = slot_of_key(t, &key);
        if (slot == ABSENT) return ABSENT;
        if (t->code[slot] == ABSENT) {
            if (2 * groups > t->mask) return ABSENT;
            firsts[groups] = first + row;
            t->key[slot] = key;
            t->code[slot] = groups++;
        }
        codes[row] = t->code[slot];
    }
    return groups;
}

/* As `find`, of texts; a missing one is ABSENT. */
void leverframe_numbering_find_texts(const TextTable *t, const Texts *texts, int64_t *codes) {
    for (int64_t row = 0; row < texts->rows; row++) {
        codes[row] = ABSENT;
        if (!is_there(texts, row)) continue;
        const Key key = key_at(texts, row);
        const int64_t slot = slot_of_key(t, &key);
        if (slot != ABSENT) codes[row] = t->code[slot];
    }
}
