/* Scores boosted trees by intersecting bit masks of the leaves that are still possible, instead of walking each tree.
 *
 * Every table was made and checked by trees_table.py, which also keeps the memory; this file reads only. A row's columns become positions:
 * how many of the model's distinct thresholds lie below the value (two further positions stand for zero and for NaN), or the category.
 * Trees stand in blocks whose masks fill one line of 64 bytes. In a block, each position of a feature names the line that holds, for each
 * tree, the leaves that this feature leaves possible; the AND of one line a feature has the answer as its lowest bit.
 *
 * Source of the method: Lucchese et al., "QuickScorer", SIGIR 2015; Ye et al., "RapidScorer", KDD 2018 (equal conditions merged).
 * The sum runs in tree order in double, and the logistic function is spelt, as LightGBM 4 does: the results are its very bits.
 */
#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__) && defined(__gnu_linux__) && !defined(TREES_ONE_TARGET)
#define FOR_EACH_CPU __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define FOR_EACH_CPU
#endif
#define INLINE static inline __attribute__((always_inline))

enum { LINE = 64, HALF = LINE / 2, TILE = 64, FEATURES_MAX = 512 }; /* FEATURES_MAX as in trees_table.py: bounds the stack to 128 KiB */
enum { IDENTITY = 0, LOGISTIC = 1 };

/* Half lines: what GCC makes of whole ones on a processor without 64-byte registers is six times slower. */
typedef uint32_t half32 __attribute__((vector_size(HALF)));
typedef uint64_t half64 __attribute__((vector_size(HALF)));

typedef struct {
    int64_t columns;            /* width of a row */
    int64_t features;           /* columns that the trees read; at most FEATURES_MAX */
    int64_t positions;          /* of all features together */
    int64_t trees;
    int64_t wide;               /* 0: masks of 32 bits, 16 trees a line; 1: of 64 bits, 8 trees */
    int64_t transform;          /* IDENTITY or LOGISTIC */
    double sigmoid;             /* factor inside the logistic function */
    const int32_t *column;      /* [features] */
    const int32_t *categories;  /* [features] 0: numbers; else categories 0 .. n - 1 have a position each, and others one together */
    const int32_t *first;       /* [features] its first position */
    const int32_t *start;       /* [features + 1] its thresholds */
    const double *threshold;    /* ascending and distinct within a feature */
    const uint16_t *line_of;    /* [blocks, positions] line within the block */
    const int64_t *block_line;  /* [blocks] first line of the block */
    const unsigned char *lines; /* [lines, LINE], aligned to LINE */
    const double *leaf;         /* [trees, bits of a mask] from the leftmost leaf on */
} Model;

/* Values that LightGBM's C interface leaves out of a row, and so reads as 0.0. */
INLINE double cleaned(double value) { return fabs(value) <= (double)1e-35f ? 0.0 : value; }

INLINE double value_at(const unsigned char *row, int64_t column) {
    double value;
    memcpy(&value, row + 8 * column, sizeof value);
    return cleaned(value);
}

INLINE uint32_t category(double value, uint32_t categories) {
    /* Negative ones, NaN and those beyond the last belong to no set; truncation as in a C cast. */
    return value > -1.0 && value < (double)categories ? (uint32_t)(int32_t)value : categories;
}

/* How many of `count` ascending thresholds lie below the value, without a branch that the processor could guess wrongly. */
INLINE uint32_t below(const double *threshold, uint32_t count, double value) {
    const double *at = threshold;
    for (uint32_t left = count; left > 1; left -= left / 2) {
        const uint64_t half = left / 2;
        at += half & -(uint64_t)(at[half - 1] < value);
    }
    return (uint32_t)(at - threshold) + (*at < value);
}

/* positions [rows, features] of the rows' values. All rows search in step, so that one's loads hide another's. */
INLINE void find_positions(const Model *m, const unsigned char *rows, int count, uint32_t *positions) {
    for (int64_t f = 0; f < m->features; f++) {
        double value[TILE];
        uint32_t at[TILE];
        const uint32_t first = (uint32_t)m->first[f];
        for (int r = 0; r < count; r++) value[r] = value_at(rows + r * 8 * m->columns, m->column[f]);
        if (m->categories[f]) {
            for (int r = 0; r < count; r++) at[r] = category(value[r], (uint32_t)m->categories[f]);
        } else {
            const double *threshold = m->threshold + m->start[f];
            const uint32_t all = (uint32_t)(m->start[f + 1] - m->start[f]);
            if (count == 1) {
                at[0] = below(threshold, all, value[0]);
            } else {
                for (int r = 0; r < count; r++) at[r] = 0;
                for (uint32_t left = all; left > 1; left -= left / 2) {
                    const uint32_t half = left / 2;
                    for (int r = 0; r < count; r++) at[r] += threshold[at[r] + half - 1] < value[r] ? half : 0;
                }
                for (int r = 0; r < count; r++) at[r] += threshold[at[r]] < value[r];
            }
            for (int r = 0; r < count; r++) {
                if (value[r] == 0.0) at[r] = all + 1;
                if (value[r] != value[r]) at[r] = all + 2;
            }
        }
        for (int r = 0; r < count; r++) positions[r * m->features + f] = first + at[r];
    }
}

#define SCORE_BLOCKS(NAME, HALF_LINE, MASK, BITS, CTZ)                                                                \
    INLINE void NAME(const Model *m, const uint32_t *positions, int count, double *sums) {                            \
        enum { LANES = LINE / sizeof(MASK) };                                                                         \
        for (int64_t block = 0; block * LANES < m->trees; block++) {                                                  \
            const uint16_t *line_of = m->line_of + block * m->positions;                                              \
            const HALF_LINE *lines = (const HALF_LINE *)(m->lines + LINE * m->block_line[block]);                     \
            const double *leaf = m->leaf + block * LANES * BITS;                                                      \
            const int64_t rest = m->trees - block * LANES;                                                            \
            for (int r = 0; r < count; r++) {                                                                         \
                const uint32_t *position = positions + r * m->features;                                               \
                HALF_LINE low = ~(HALF_LINE){0}, high = low;                                                          \
                for (int64_t f = 0; f < m->features; f++) {                                                           \
                    const HALF_LINE *line = lines + 2 * (uint32_t)line_of[position[f]];                               \
                    low &= line[0];                                                                                   \
                    high &= line[1];                                                                                  \
                }                                                                                                     \
                MASK mask[LANES];                                                                                     \
                memcpy(mask, &low, HALF);                                                                             \
                memcpy(mask + LANES / 2, &high, HALF);                                                                \
                double sum = sums[r];                                                                                 \
                if (rest >= LANES)                                                                                    \
                    for (int tree = 0; tree < LANES; tree++) sum += leaf[tree * BITS + CTZ(mask[tree])];              \
                else                                                                                                  \
                    for (int tree = 0; tree < rest; tree++) sum += leaf[tree * BITS + CTZ(mask[tree])];               \
                sums[r] = sum;                                                                                        \
            }                                                                                                         \
        }                                                                                                             \
    }
SCORE_BLOCKS(score_blocks_32, half32, uint32_t, 32, __builtin_ctz)
SCORE_BLOCKS(score_blocks_64, half64, uint64_t, 64, __builtin_ctzll)

INLINE void score_tile(const Model *m, const unsigned char *rows, int count, double *scores) {
    uint32_t positions[TILE * FEATURES_MAX];
    find_positions(m, rows, count, positions);
    for (int r = 0; r < count; r++) scores[r] = 0.0;
    if (m->wide)
        score_blocks_64(m, positions, count, scores);
    else
        score_blocks_32(m, positions, count, scores);
    if (m->transform == LOGISTIC)
        for (int r = 0; r < count; r++) scores[r] = 1.0 / (1.0 + exp(-m->sigmoid * scores[r]));
}

/* The score of one row of m->columns doubles. */
FOR_EACH_CPU double leverframe_trees_row(const Model *m, const unsigned char *row) {
    double score;
    score_tile(m, row, 1, &score);
    return score;
}

/* scores [count] of rows [count, m->columns]. */
FOR_EACH_CPU void leverframe_trees_rows(const Model *m, const unsigned char *rows, int64_t count, double *scores) {
    for (int64_t at = 0; at < count; at += TILE) {
        const int64_t rest = count - at;
        score_tile(m, rows + at * 8 * m->columns, rest < TILE ? (int)rest : TILE, scores + at);
    }
}
