/* Windowed aggregates at many points of time: each is said of the rows that came before a point and have not left by then.
 *
 * `came` and `gone` tell how many these are at each point, over all entities together: the last row of one entity has left before the
 * first point of the next. Where rows leave as they came, those at a point lie side by side, from number `gone` to before number `came`.
 * Loops that ask no question of the data run several times faster than such as must guess the answer, so most of these ask none.
 *
 * sweep_c.py checked every length, place, rank and group and keeps the memory; numbers in a wrong order would give wrong answers, but no
 * access outside the arrays. Sums are whole numbers. All floating-point operations, and their order, are those of deviation.py and
 * sweep_numpy.py, which give the same bits.
 */
#include <math.h>
#include <stdint.h>

#if defined(__x86_64__) && defined(__gnu_linux__) && !defined(ONE_TARGET)
#define FOR_EACH_CPU __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define FOR_EACH_CPU
#endif
#define INLINE static inline __attribute__((always_inline))

enum { BLOCK = 16 }; /* as in sweep_c.py */
enum { MERGES = 4, TILE = 128 };
#define EACH_MERGE _Pragma("GCC unroll 4") for (int m = 0; m < MERGES; m++)

/* As in sweep_c.py. */
typedef struct {
    int64_t rows;
    int64_t points;
    const int64_t *leave;   /* [rows] the moment at which a row no longer counts */
    const int64_t *leaving; /* [rows] the order in which they leave; NULL: as they came */
    const int64_t *at;      /* [points] ascending, as moments */
    const int64_t *came;    /* [points] ascending, at most rows */
    const int64_t *gone;    /* [points] ascending, at most came */
    const int64_t *place;   /* [points] where a point's answer goes; NULL: in order */
} Sweep;

/* Sums over the first i rows of an order, [rows + 1]; modulo 2^64 and 2^128, for only differences are asked for. */
typedef struct {
    int64_t *count; /* NULL: i */
    uint64_t *total;
    uint64_t *squares; /* low and high halves in turns */
} Running;

static const double SCALE = 1000000.0, TWO_64 = 18446744073709551616.0;

/* Which Sweep and which calls these are: the caller goes elsewhere when it knows others. To be raised with every change of either. */
int64_t leverframe_sweep_interface(void) { return 2; }

INLINE int64_t place_of(const Sweep *s, int64_t point) { return s->place ? s->place[point] : point; }

INLINE int64_t leaving_at(const Sweep *s, int64_t number) { return s->leaving ? s->leaving[number] : number; }

/* A merge of some of the numbers with some of the points: a step goes on to the next number, or says of a point how many came before it. */
typedef struct {
    int64_t number, point, numbers_end, points_end;
} Merge;

INLINE void step(Merge *m, const int64_t *numbers, const int64_t *at, int64_t *counts) {
    const int64_t reached = numbers[m->number] <= at[m->point];
    counts[m->point] = m->number;
    m->number += reached;
    m->point += !reached;
}

INLINE int64_t first_above(const int64_t *numbers, int64_t low, int64_t high, int64_t limit) {
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        if (numbers[middle] <= limit)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* counts [points]: how many of the ascending numbers [rows] are at or before each of the ascending points. A step must wait for the one
 * before it, so that several merges side by side take the time of one. */
void leverframe_sweep_before(const int64_t *numbers, int64_t rows, const int64_t *at, int64_t points, int64_t *counts) {
    Merge merge[MERGES];
    int64_t number = 0, point = 0;
    int all = 1;
    for (int m = 0; m < MERGES; m++) {
        const int64_t points_end = points * (m + 1) / MERGES;
        const int64_t numbers_end = points_end > point ? first_above(numbers, number, rows, at[points_end - 1]) : number;
        merge[m] = (Merge){number, point, numbers_end, points_end};
        number = numbers_end, point = points_end;
    }
    for (;;) {
        EACH_MERGE all &= (merge[m].number < merge[m].numbers_end) & (merge[m].point < merge[m].points_end);
        if (!all) break;
        EACH_MERGE step(merge + m, numbers, at, counts);
    }
    for (int m = 0; m < MERGES; m++) {
        while (merge[m].number < merge[m].numbers_end && merge[m].point < merge[m].points_end) step(merge + m, numbers, at, counts);
        while (merge[m].point < merge[m].points_end) counts[merge[m].point++] = merge[m].numbers_end;
    }
}

/* Fill those of `running` that are not NULL. whole [rows]: millionths, or NULL; there [rows]: which rows have a value, or NULL: all. */
void leverframe_sweep_running(
    const int64_t *order, int64_t rows, const int64_t *whole, const uint8_t *there, const Running *running) {
    int64_t count = 0;
    uint64_t total = 0;
    unsigned __int128 squares = 0;
    for (int64_t i = 0; i <= rows; i++) {
        if (running->count) running->count[i] = count;
        if (running->total) running->total[i] = total;
        if (running->squares) running->squares[2 * i] = (uint64_t)squares, running->squares[2 * i + 1] = (uint64_t)(squares >> 64);
        if (i == rows) break;
        const int64_t row = order ? order[i] : i, counts = there ? there[row] != 0 : 1, value = whole && counts ? whole[row] : 0;
        count += counts;
        total += (uint64_t)value;
        squares += (unsigned __int128)((__int128)value * value);
    }
}

INLINE unsigned __int128 squares_at(const Running *running, int64_t i) {
    return (unsigned __int128)running->squares[2 * i + 1] << 64 | running->squares[2 * i];
}

/* What the formula of a deviation (deviation.py) takes of n numbers: their spread about the floor of their mean, and the rest of it. */
INLINE void spread(int64_t n, int64_t total, unsigned __int128 squares, double *about, double *left) {
    const int64_t count = n > 1 ? n : 2;
    int64_t floor = total / count, rest = total - floor * count;
    if (rest < 0) floor -= 1, rest += count;
    const unsigned __int128 sum = squares - (unsigned __int128)((__int128)floor * (total + rest));
    *about = (double)(uint64_t)(sum >> 64) * TWO_64 + (double)(uint64_t)sum;
    *left = (double)rest;
}

/* Some points at a time, so that divisions and roots, which take most of the time, are done several at once. */
typedef struct {
    double rows[TILE], n[TILE], total[TILE], about[TILE], left[TILE], answer[TILE];
} Tile;

INLINE void put(const Sweep *s, int64_t first, int64_t points, const double *answer, double *out) {
    for (int64_t p = 0; p < points; p++) out[place_of(s, first + p)] = answer[p];
}

FOR_EACH_CPU static void put_sums(const Sweep *s, Tile *t, int64_t first, int64_t points, double *const *out) {
    if (out[0]) put(s, first, points, t->n, out[0]);
    if (out[1]) {
        for (int64_t p = 0; p < TILE; p++) t->answer[p] = t->rows[p] > 0 ? t->n[p] / t->rows[p] : NAN;
        put(s, first, points, t->answer, out[1]);
    }
    for (int64_t p = 0; p < TILE; p++) t->total[p] /= SCALE;
    if (out[2]) put(s, first, points, t->total, out[2]);
    if (out[3]) {
        for (int64_t p = 0; p < TILE; p++) t->answer[p] = t->n[p] > 0 ? t->total[p] / t->n[p] : NAN;
        put(s, first, points, t->answer, out[3]);
    }
    if (out[4]) {
        for (int64_t p = 0; p < TILE; p++) {
            const double n = t->n[p] > 1 ? t->n[p] : 2;
            const double root = sqrt((t->about[p] - t->left[p] * t->left[p] / n) / (n - 1)) / SCALE;
            t->answer[p] = t->n[p] > 1 ? root : NAN;
        }
        put(s, first, points, t->answer, out[4]);
    }
}

/* Into each of out[5] that is not NULL: count, share, sum, mean and standard deviation. Sums over rows as they came and as they leave. */
void leverframe_sweep_sums(const Sweep *s, const Running *come, const Running *leave, double *const *out) {
    Tile tile = {0};
    for (int64_t first = 0; first < s->points; first += TILE) {
        const int64_t points = s->points - first < TILE ? s->points - first : TILE;
        for (int64_t p = 0; p < points; p++) {
            const int64_t came = s->came[first + p], gone = s->gone[first + p];
            const int64_t n = come->count ? come->count[came] - leave->count[gone] : came - gone;
            const int64_t total = come->total ? (int64_t)(come->total[came] - leave->total[gone]) : 0;
            tile.rows[p] = (double)(came - gone);
            tile.n[p] = (double)n;
            tile.total[p] = (double)total;
            if (out[4]) spread(n, total, squares_at(come, came) - squares_at(leave, gone), tile.about + p, tile.left + p);
        }
        put_sums(s, &tile, first, points, out);
    }
}

/* What is compared, and what is given for the highest; the lowest is the highest of the negated. */
typedef struct {
    const double *values; /* [rows] */
    const uint8_t *there; /* [rows] which of them count; NULL: all */
    double sign;          /* 1: the highest, -1: the lowest */
    const double *given;  /* values are ranks 0 .. rows - 1, and this [rows] is given for each; NULL: the value itself */
} Ranking;

INLINE double rank_of(const Ranking *r, int64_t row) { return r->there && !r->there[row] ? -INFINITY : r->sign * r->values[row]; }

INLINE double given_for(const Ranking *r, double rank) {
    if (rank == -INFINITY) return NAN;
    return r->given ? r->given[(int64_t)rank] : r->sign * rank + 0.0; /* adding zero: of the two zeros the one that sources have */
}

INLINE double higher(double a, double b) { return a > b ? a : b; }

/* How high rows rank within their block of BLOCK rows, up to each row and from it on, [rows] each; and over 2^k blocks from each on. */
typedef struct {
    double *upto, *onward, *blocks; /* blocks: [levels, blocks] */
    int64_t levels;
} Heights;

INLINE void find_heights(const Ranking *r, int64_t rows, const Heights *h) {
    const int64_t blocks = (rows + BLOCK - 1) / BLOCK;
    for (int64_t block = 0; block < blocks; block++) {
        const int64_t first = block * BLOCK, end = first + BLOCK < rows ? first + BLOCK : rows;
        double height = -INFINITY;
        for (int64_t row = first; row < end; row++) h->onward[row] = rank_of(r, row);
        for (int64_t row = first; row < end; row++) h->upto[row] = height = higher(height, h->onward[row]);
        h->blocks[block] = height;
        for (int64_t row = end - 2; row >= first; row--) h->onward[row] = higher(h->onward[row], h->onward[row + 1]);
    }
    for (int64_t k = 1; k < h->levels; k++) {
        const double *below = h->blocks + (k - 1) * blocks;
        double *level = h->blocks + k * blocks;
        for (int64_t block = 0; block + (1LL << k) <= blocks; block++) level[block] = higher(below[block], below[block + (1LL << (k - 1))]);
    }
}

/* The highest rank of the rows from `first` to before `end`: what is left of the first and the last block, and two runs of whole ones. */
INLINE double highest(const Ranking *r, const Heights *h, int64_t rows, int64_t first, int64_t end) {
    const int64_t low = first / BLOCK, high = (end - 1) / BLOCK, blocks = (rows + BLOCK - 1) / BLOCK;
    double height = -INFINITY;
    if (low == high) {
        for (int64_t row = first; row < end; row++) height = higher(height, rank_of(r, row));
        return height;
    }
    height = higher(h->onward[first], h->upto[end - 1]);
    if (high - low > 1) {
        const int k = 63 - __builtin_clzll((uint64_t)(high - low - 1));
        const double *level = h->blocks + k * blocks;
        height = higher(height, higher(level[low + 1], level[high - (1LL << k)]));
    }
    return height;
}

/* Rows leave as they came. */
void leverframe_sweep_highest(const Sweep *s, const Ranking *r, const Heights *h, double *out) {
    find_heights(r, s->rows, h);
    for (int64_t p = 0; p < s->points; p++) {
        const int64_t first = s->gone[p], end = s->came[p];
        out[place_of(s, p)] = given_for(r, first < end ? highest(r, h, s->rows, first, end) : -INFINITY);
    }
}

/* Rows leave in any order. held [rows] is a heap by rank, of which those that have left are taken off when they come to its top. */
void leverframe_sweep_highest_by_heap(const Sweep *s, const Ranking *r, int64_t *held, double *out) {
    int64_t next = 0, size = 0;
    for (int64_t p = 0; p < s->points; p++) {
        for (; next < s->came[p]; next++) {
            if (r->there && !r->there[next]) continue;
            int64_t hole = size++;
            for (int64_t above; hole && rank_of(r, held[above = (hole - 1) / 2]) < rank_of(r, next); hole = above)
                held[hole] = held[above];
            held[hole] = next;
        }
        while (size && s->leave[held[0]] <= s->at[p]) {
            const int64_t last = held[--size];
            int64_t hole = 0;
            for (int64_t below; (below = 2 * hole + 1) < size; hole = below) {
                if (below + 1 < size && rank_of(r, held[below + 1]) > rank_of(r, held[below])) below++;
                if (rank_of(r, held[below]) <= rank_of(r, last)) break;
                held[hole] = held[below];
            }
            held[hole] = last;
        }
        out[place_of(s, p)] = given_for(r, size ? rank_of(r, held[0]) : -INFINITY);
    }
}

/* out: how many different groups. group [rows]; there [rows], NULL: all; held: a zero for each group. */
void leverframe_sweep_distinct(const Sweep *s, const int64_t *group, const uint8_t *there, int64_t *held, double *out) {
    int64_t came = 0, gone = 0, groups = 0;
    for (int64_t p = 0; p < s->points; p++) {
        for (; came < s->came[p]; came++)
            if (!there || there[came]) groups += held[group[came]]++ == 0;
        for (; gone < s->gone[p]; gone++) {
            const int64_t row = leaving_at(s, gone);
            if (!there || there[row]) groups -= --held[group[row]] == 0;
        }
        out[place_of(s, p)] = (double)groups;
    }
}
