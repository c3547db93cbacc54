-- By what a seed that was begun is known again, and whether it may lie on a disk of the server.
ALTER TABLE "Seed" ADD COLUMN "acceptsServerDisk" BOOLEAN NOT NULL DEFAULT false;
ALTER TABLE "Seed" ADD COLUMN "fingerprint" TEXT;
