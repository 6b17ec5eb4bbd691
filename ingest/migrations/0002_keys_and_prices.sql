-- Which secret of a key was used, and the classes of tokens that are paid apart.
ALTER TABLE audit.requests
    ADD COLUMN IF NOT EXISTS key_old_secret Bool AFTER key_name,
    ADD COLUMN IF NOT EXISTS cache_write_1h_tokens UInt64 AFTER cache_write_tokens,
    ADD COLUMN IF NOT EXISTS input_audio_tokens UInt64 AFTER cache_write_1h_tokens,
    ADD COLUMN IF NOT EXISTS input_image_tokens UInt64 AFTER input_audio_tokens,
    ADD COLUMN IF NOT EXISTS output_audio_tokens UInt64 AFTER reasoning_tokens,
    ADD COLUMN IF NOT EXISTS web_searches UInt32 AFTER output_audio_tokens,
    ADD COLUMN IF NOT EXISTS file_searches UInt32 AFTER web_searches
;
