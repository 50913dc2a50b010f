/* Numbers for keys by their hashes: rows of one hash get one number. numbering_c.py checks afterwards that they have one key, too.
 *
 * The table has open addressing and is bounded twice: by its size and by how far a hash may lie from where it belongs. Keys made to
 * collide end in a refusal, upon which keys are compared as they are, not in a loop.
 */
#include <stdint.h>

enum { FAR = 64, ABSENT = -1 };

/* As in numbering_c.py. */
typedef struct {
    int64_t mask;   /* slots less one; their number is a power of two */
    uint64_t *hash; /* [slots] */
    int64_t *code;  /* [slots] ABSENT where the slot is empty */
} Table;

/* Which Table and which calls these are; to be raised with every change of either. */
int64_t leverframe_numbering_interface(void) { return 1; }

/* The slot of a hash or the empty one where it belongs; ABSENT when neither is near. Multiplied, so that high bits count as well. */
static inline int64_t slot_of(const Table *t, uint64_t hash) {
    const uint64_t home = hash * 0x9E3779B97F4A7C15u >> 20;
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
