// Colours that mean something. Each tone comes with its own shape, so colour is never the only signal.
export type Tone = 'good' | 'busy' | 'at-risk' | 'bad' | 'off'

export const inkOf = (tone: Tone): string => `var(--${tone})`
export const fillOf = (tone: Tone): string => `var(--${tone}-fill)`
