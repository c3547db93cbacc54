// The package comes without types.
declare module 'postject' {
  /** Changes the file in place. */
  export function inject(
    file: string,
    resource: string,
    content: Buffer,
    options: { readonly sentinelFuse: string },
  ): Promise<void>
}
