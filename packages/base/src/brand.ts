declare const brand: unique symbol

/** A string that is the id of one kind of thing and cannot be passed for another. */
export type Brand<Name extends string> = string & { readonly [brand]: Name }
