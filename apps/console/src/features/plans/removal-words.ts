/** Said after a removal: what has gone, and how to have it back. */
export const wordsOfRemoval = (name: string): string => `${name} is removed; undo brings it back`
