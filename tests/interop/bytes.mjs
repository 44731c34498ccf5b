// Small words about bytes that every other file uses.

export const bytes = (...parts) => Buffer.concat(parts.map((part) => Buffer.from(part)));
export const hex = (part) => Buffer.from(part).toString('hex');
export const unhex = (text) => Buffer.from(text, 'hex');
export const same = (a, b) => Buffer.compare(a, b) === 0;

export function uint32(value) {
    const out = Buffer.alloc(4);
    out.writeUInt32BE(value); // SPEC, head: integers in fixed layouts are big-endian
    return out;
}

/** Minutes since 1970, rounded down (SPEC, head). */
export const minuteNow = () => Math.floor(Date.now() / 60000);

/** What the other side did is against SPEC.md: it ends the session (9.2). */
export class Invalid extends Error {}

export function must(truth, what) {
    if (!truth) throw new Invalid(what);
}
