// How long to wait before something is sent again.

/** Returns the seconds of a `Retry-After`: a number, or a date of HTTP. Undefined if there is none. */
export function secondsOf(header: string | null): number | undefined {
  if (header === null || header.trim() === "") return undefined;
  const seconds = Number(header);
  if (!Number.isNaN(seconds)) return Math.max(0, seconds);
  const at = Date.parse(header);
  return Number.isNaN(at) ? undefined : Math.max(0, (at - Date.now()) / 1000);
}

/** Returns the seconds before attempt `n` (1, 2, …): each time twice as many, at most `longest`, and spread. */
export function growing(n: number, longest: number): number {
  return Math.min(longest, 0.25 * 2 ** n) * (0.5 + Math.random() / 2);
}

/** Waits. Throws the reason of the signal if that is aborted meanwhile. */
export async function pause(seconds: number, signal?: AbortSignal): Promise<void> {
  signal?.throwIfAborted();
  await new Promise<void>((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, seconds * 1000);
    signal?.addEventListener("abort", done);
  });
  signal?.throwIfAborted();
}
