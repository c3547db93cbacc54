-- AlterTable
ALTER TABLE "Run" ADD COLUMN     "place" TEXT;
