/* Which rows are the newest known of their key, from when on, and what those of many questions say.
 *
 * Rows lie by key and by the moment from which they hold, so a question looks near the place where the last one of its key was answered:
 * mostly it is the same row or the next one, and at worst a search of that key's rows. Questions may come in any order. Their values are
 * taken from the columns of the source as they lie, a tile of questions at a time, and written once, where they stay.
 *
 * newest_c.py checked every length, place and code and keeps the memory; moments in a wrong order would give wrong answers, but no access
 * outside the arrays.
 */
#include <math.h>
#include <stdint.h>

enum { NOTHING = -1, TILE = 4096 };

/* As in newest_c.py. */
typedef struct {
    const int64_t *starts; /* [keys + 1] where the rows of each key begin */
    const int64_t *from;   /* [rows] the moment from which each holds, ascending within a key */
    const int64_t *event;  /* [rows] its event */
    const int64_t *place;  /* [rows] its place in the columns of values */
} Newest;

typedef struct {
    const int64_t *codes;   /* [questions] the key of each; negative: nobody's */
    const int64_t *moments; /* [questions] */
    int64_t ttl;            /* an event as old as that is no answer; 0: never too old */
} Asked;

/* How many questions are of a key that has rows, found one, and found one within its TTL; how old these were. */
typedef struct {
    int64_t known, found, alive, age_min, age_max;
} Seen;

/* Which structures and calls these are; to be raised with every change of either. */
int64_t leverframe_newest_interface(void) { return 1; }

/* Of rows in order of (the later of event and arrival, event, arrival, source) those that take over: the others correct something older, or
 * are replaced at the very moment from which they hold. `order` is that order; NULL: as they lie. `starts` [keys + 1] holds where each key's
 * rows would begin if all took over, and in the end where they do; from, event_of and place have room for all rows. */
void leverframe_newest_take_over(
    const int64_t *codes, const int64_t *event, const int64_t *arrival, const int64_t *order, int64_t rows, int64_t keys, int64_t *starts,
    int64_t *ends, int64_t *from, int64_t *event_of, int64_t *place) {
    for (int64_t key = 0; key < keys; key++) ends[key] = starts[key];
    for (int64_t i = 0; i < rows; i++) {
        const int64_t row = order ? order[i] : i, key = codes[row];
        const int64_t holds = event[row] > arrival[row] ? event[row] : arrival[row];
        int64_t at = ends[key];
        if (at > starts[key]) {
            if (event[row] < event_of[at - 1]) continue;
            at -= from[at - 1] == holds;
        }
        from[at] = holds, event_of[at] = event[row], place[at] = row;
        ends[key] = at + 1;
    }
    int64_t end = 0;
    for (int64_t key = 0; key < keys; key++) {
        const int64_t begin = starts[key], count = ends[key] - begin;
        if (begin != end)
            for (int64_t i = 0; i < count; i++) {
                from[end + i] = from[begin + i], event_of[end + i] = event_of[begin + i], place[end + i] = place[begin + i];
            }
        starts[key] = end;
        end += count;
    }
    starts[keys] = end;
}

/* How many of the rows before `end` hold at `moment`, if those before `low` do: steps that double, then halves. */
static int64_t onward(const int64_t *from, int64_t low, int64_t end, int64_t moment) {
    int64_t step = 1;
    while (low + step <= end && from[low + step - 1] <= moment) low += step, step *= 2;
    int64_t high = low + step <= end ? low + step - 1 : end;
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        if (from[middle] <= moment)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The place of the row that answers each question of a tile, or NOTHING. `reached` [keys] is where the last question of a key ended. */
static void find(const Newest *n, const Asked *a, int64_t first, int64_t end, int64_t *reached, int64_t *at, Seen *seen) {
    for (int64_t question = first; question < end; question++) {
        const int64_t key = a->codes[question], moment = a->moments[question];
        at[question - first] = NOTHING;
        if (key < 0) continue;
        const int64_t begin = n->starts[key], rows_end = n->starts[key + 1];
        int64_t row = reached[key];
        seen->known += rows_end > begin;
        if (row > begin && n->from[row - 1] > moment) row = begin;
        if (row < rows_end && n->from[row] <= moment) row = onward(n->from, row, rows_end, moment);
        reached[key] = row;
        if (row == begin) continue;
        seen->found++;
        /* Modulo, as numpy subtracts. */
        const int64_t age = (int64_t)((uint64_t)moment - (uint64_t)n->event[row - 1]);
        if (a->ttl && age >= a->ttl) continue;
        seen->alive++;
        seen->age_min = age < seen->age_min ? age : seen->age_min;
        seen->age_max = age > seen->age_max ? age : seen->age_max;
        at[question - first] = n->place[row - 1];
    }
}

/* values [columns][places], answers [columns][questions]: fill the answers of the questions from `first` to before `end`. */
void leverframe_newest_answer(
    const Newest *n, const Asked *a, int64_t first, int64_t end, const double *const *values, double *const *answers, int64_t columns,
    int64_t *reached, Seen *seen) {
    int64_t at[TILE];
    for (; first < end; first += TILE) {
        const int64_t count = end - first < TILE ? end - first : TILE;
        const int64_t found = seen->alive;
        find(n, a, first, first + count, reached, at, seen);
        const int all = seen->alive - found == count, none = seen->alive == found;
        for (int64_t column = 0; column < columns; column++) {
            const double *from = values[column];
            double *to = answers[column] + first;
            if (all)
                for (int64_t i = 0; i < count; i++) to[i] = from[at[i]];
            else if (none)
                for (int64_t i = 0; i < count; i++) to[i] = NAN;
            else
                for (int64_t i = 0; i < count; i++) {
                    const double value = from[at[i] < 0 ? 0 : at[i]];
                    to[i] = at[i] < 0 ? NAN : value;
                }
        }
    }
}
